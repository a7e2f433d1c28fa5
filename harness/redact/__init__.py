"""What must not leave the machine: its description, and its removal from texts and values."""
