"""Where Ansible looks for the callback plugin."""
