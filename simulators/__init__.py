"""
The world around the gateway: people, insurers and clinics, all made up.

Simulators speak the wire only. They know what is true of their people and compare the gateway's
answers with it; they never look inside the gateway.
"""
