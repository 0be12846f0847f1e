"""What more than one app needs. Nothing in here knows an app; every app imports only what it uses."""
