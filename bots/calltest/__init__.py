"""Call tests that listen: marks in picture and sound, and what they prove."""
