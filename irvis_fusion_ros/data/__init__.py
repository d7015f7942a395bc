"""Image pairs with what is known of them, and protocols of known warps; training and evaluation share it."""
