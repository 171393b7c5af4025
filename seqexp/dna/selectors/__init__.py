"""Beta evidence, its algebra, and the mask it yields."""
