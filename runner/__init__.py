"""What runs inside a session Job: clone, inventory, Ansible, the callback plugin and the frames it reports in."""
