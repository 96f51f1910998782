"""The outbox of events, the relay that orders them and EventsService over their log."""
