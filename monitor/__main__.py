"""`python -m monitor` is the command `delivery-monitor`."""

from monitor.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
