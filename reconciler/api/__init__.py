"""The HTTP surface of `serve`, in its smallest form: health, and applies that are handed over."""
