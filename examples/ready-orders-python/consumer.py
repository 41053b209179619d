"""Prints each ready order from the topic order.ready; a redelivered event is skipped."""

import json
import os
import sys

from confluent_kafka import Consumer

BROKERS = os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092")
# Stands for the consumer's own database: in a real consumer, the event's id and the effect are one transaction.
SEEN = os.environ.get("SEEN_FILE", "seen-events.txt")


def seen_events():
    if not os.path.exists(SEEN):
        return set()
    with open(SEEN) as file:
        return set(file.read().split())


def main():
    seen = seen_events()
    consumer = Consumer(
        {
            "bootstrap.servers": BROKERS,
            "group.id": "ready-orders-example",
            "auto.offset.reset": "earliest",
            # Offsets are committed by hand, after the effect.
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(["order.ready"])
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            event = json.loads(message.value())
            # An order that is dispatched again after a crash has the same event id.
            if event["eventId"] not in seen:
                print(f"{event['orderId']} is ready at {event['payload']['readyAt']}", flush=True)
                seen.add(event["eventId"])
                with open(SEEN, "a") as file:
                    file.write(event["eventId"] + "\n")
            consumer.commit(message, asynchronous=False)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
