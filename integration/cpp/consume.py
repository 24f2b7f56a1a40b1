"""consume.py NAMESRV TOPIC GROUP EXPRESSION EXPECTED TIMEOUT_S

The official C++ push consumer, through its C interface. It fails every message whose body begins with "fail" and takes
the others, prints each delivery as a JSON object a line, and ends after EXPECTED of them or after TIMEOUT_S. Its limit of
retries cannot be set through that interface: it is the C++ client's own, 16.
"""

import json
import sys
import threading
import time

from rocketmq.ffi import dll, MSG_CALLBACK_FUNC


def main():
    nameserver, topic, group, expression = (a.encode() for a in sys.argv[1:5])
    expected, timeout = int(sys.argv[5]), float(sys.argv[6])
    seen = 0
    enough = threading.Event()
    lock = threading.Lock()

    def take(_, message):
        nonlocal seen
        body = dll.GetMessageBody(message).decode()
        line = json.dumps({
            "body": body,
            "topic": dll.GetMessageTopic(message).decode(),
            "tags": (dll.GetMessageTags(message) or b"").decode(),
            "reconsumeTimes": dll.GetMessageReconsumeTimes(message),
            "originMsgId": (dll.GetMessageProperty(message, b"ORIGIN_MESSAGE_ID") or b"").decode(),
            "millis": int(time.time() * 1000),
        })
        with lock:
            print(line, flush=True)
            seen += 1
            if seen >= expected:
                enough.set()
        return 1 if body.startswith("fail") else 0

    callback = MSG_CALLBACK_FUNC(take)
    consumer = dll.CreatePushConsumer(group)
    for status in (
        dll.SetPushConsumerNameServerAddress(consumer, nameserver),
        dll.SetPushConsumerInstanceName(consumer, b"cpp-%d" % time.time_ns()),
        dll.Subscribe(consumer, topic, expression),
        dll.RegisterMessageCallback(consumer, callback),
        dll.StartPushConsumer(consumer),
    ):
        if status != 0:
            sys.exit("the C interface answered %d" % status)
    enough.wait(timeout)
    time.sleep(1)  # what was failed last goes back, and more than expected would come
    dll.ShutdownPushConsumer(consumer)


main()
