"""Where moto is laxer than AWS: its response classes, subclassed from outside. Moto itself is not modified."""
