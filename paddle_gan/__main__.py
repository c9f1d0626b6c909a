"""`python -m paddle_gan train ...` is `paddle-gan train ...`."""

from paddle_gan.commands import main

if __name__ == "__main__":
    main()
