"""The site: settings, root URLs and the ASGI application."""
