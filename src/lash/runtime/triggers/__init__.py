"""Triggers at run time: subscriptions, the router from events to what they start, recovery, the clock's ticks."""

from lash.runtime.triggers.commands import TriggerCommands
from lash.runtime.triggers.recovery import DeliveryRecovery
from lash.runtime.triggers.router import Emitted, EmittedDelivery, TriggerRouter
from lash.runtime.triggers.ticker import Ticker

__all__ = [
    "DeliveryRecovery",
    "Emitted",
    "EmittedDelivery",
    "Ticker",
    "TriggerCommands",
    "TriggerRouter",
]
