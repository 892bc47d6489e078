from nmes_wave.spec import *  # temporary
