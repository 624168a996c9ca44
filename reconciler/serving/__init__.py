"""`serve`: a pass in a loop. Roles side by side, each under a lease of its own: who converges, who places members, who configures."""
