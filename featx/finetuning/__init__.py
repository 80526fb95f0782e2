"""The last layers of the network, trained from a fitted head on cached activations."""
