"""Tests of the places where collections are kept."""
