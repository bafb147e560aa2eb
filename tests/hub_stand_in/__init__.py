"""A stand-in for the Hugging Face Hub: as much of its HTTP interface as huggingface_hub 2.4 uses, on this machine."""

from tests.hub_stand_in.server import HubStandIn

__all__ = ["HubStandIn"]
