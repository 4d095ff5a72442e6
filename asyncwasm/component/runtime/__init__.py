"""What a component instance consists of while it lives, and how calls go in and out of it."""
