"""What an environment's pages show, a module for each tab."""
