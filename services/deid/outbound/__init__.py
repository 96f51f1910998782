"""What leaves for models and other addresses outside: text and pictures that identify nobody."""
