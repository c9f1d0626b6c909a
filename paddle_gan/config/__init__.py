"""The options of the commands, as data that needs no Paddle, and the command line that is made from them."""
