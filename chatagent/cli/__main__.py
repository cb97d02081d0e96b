"""`python -m chatagent.cli`."""

from chatagent.cli.app import main

if __name__ == "__main__":
    main()
