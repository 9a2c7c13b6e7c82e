"""Signing up, signing in, passwords: django-allauth with our rules, our forms and our pages."""
