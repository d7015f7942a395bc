"""
Synthetic drone flights over a village: two cameras, real physics of sight and heat, exact truth.

No ROS. `tools/make_flight.py` writes a flight as a bag; tests take frames directly.
"""

from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.flight import Flight, Frame, Shot

__all__ = ['Flight', 'FlightConfig', 'Frame', 'Shot']
