"""How services are initialised: an application is asked, and what it lacks is done, by Jobs that outlive whoever made them."""
