"""What a service requires: from its files and tables to one set, and which of it counts where."""
