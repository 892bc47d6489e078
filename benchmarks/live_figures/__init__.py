"""What `live_audio.py` is made of."""
