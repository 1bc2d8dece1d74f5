"""INI text becomes one frozen whole, or every error in it at once."""
