"""rdkafka - as much of Kafka as examples and tests need, through the librdkafka that crossdock is linked with: make topics, send, read what is committed."""

import ctypes
import ctypes.util

PRODUCER, CONSUMER = 0, 1
PARTITION_EOF, TOPIC_ALREADY_EXISTS = -191, 36
TOPIC, VALUE, FLAGS, TIMESTAMP = 1, 4, 7, 8  # of what a message is made
COPY = 2
FROM_BEGINNING = -2
ADMIN_TIMEOUT_MS = 60000


class Message(ctypes.Structure):
    _fields_ = [
        ("err", ctypes.c_int),
        ("topic", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("len", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_len", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("private", ctypes.c_void_p),
    ]


class Bytes(ctypes.Structure):
    _fields_ = [("pointer", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Argument(ctypes.Union):
    _fields_ = [("text", ctypes.c_char_p), ("number", ctypes.c_int64), ("bytes", Bytes), ("padding", ctypes.c_char * 64)]


class Tagged(ctypes.Structure):
    """rd_kafka_vu_t"""

    _fields_ = [("tag", ctypes.c_int), ("value", Argument)]


P, S, I = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
FUNCTIONS = {
    "conf_new": (P, []),
    "conf_set": (I, [P, S, S, S, ctypes.c_size_t]),
    "new": (P, [I, P, S, ctypes.c_size_t]),
    "destroy": (None, [P]),
    "produceva": (P, [P, P, ctypes.c_size_t]),
    "flush": (I, [P, I]),
    "error_string": (S, [P]),
    "err2str": (S, [I]),
    "topic_partition_list_new": (P, [I]),
    "topic_partition_list_add": (P, [P, S, ctypes.c_int32]),
    "topic_partition_list_set_offset": (I, [P, S, ctypes.c_int32, ctypes.c_int64]),
    "topic_partition_list_destroy": (None, [P]),
    "assign": (I, [P, P]),
    "consumer_poll": (ctypes.POINTER(Message), [P, I]),
    "message_destroy": (None, [P]),
    "consumer_close": (I, [P]),
    "NewTopic_new": (P, [S, I, I, S, ctypes.c_size_t]),
    "NewTopic_set_config": (I, [P, S, S]),
    "NewTopic_destroy": (None, [P]),
    "queue_new": (P, [P]),
    "queue_destroy": (None, [P]),
    "queue_poll": (P, [P, I]),
    "CreateTopics": (None, [P, ctypes.POINTER(P), ctypes.c_size_t, P, P]),
    "event_error": (I, [P]),
    "event_CreateTopics_result": (P, [P]),
    "CreateTopics_result_topics": (ctypes.POINTER(P), [P, ctypes.POINTER(ctypes.c_size_t)]),
    "topic_result_error": (I, [P]),
    "event_destroy": (None, [P]),
}


def _load():
    library = ctypes.CDLL(ctypes.util.find_library("rdkafka") or "librdkafka.so.1")
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, "rd_kafka_" + name)
        function.restype, function.argtypes = result, arguments
    return library


class Kafka:
    def __init__(self, brokers):
        self.library = _load()
        self.brokers = brokers
        self.readers = []
        self.producer = self._client(PRODUCER, {"enable.idempotence": "true"})

    def _call(self, name, *arguments):
        return getattr(self.library, "rd_kafka_" + name)(*arguments)

    def _check(self, code):
        if code:
            raise OSError("Kafka: " + self._call("err2str", code).decode())

    def _client(self, kind, settings):
        words = ctypes.create_string_buffer(512)
        conf = self._call("conf_new")
        for name, value in ({"bootstrap.servers": self.brokers, "log_level": "2"} | settings).items():
            if self._call("conf_set", conf, name.encode(), value.encode(), words, len(words)):
                raise OSError("Kafka: " + words.value.decode())
        client = self._call("new", kind, conf, words, len(words))
        if not client:
            raise OSError("Kafka: " + words.value.decode())
        return client

    def make_topic(self, name, partitions=1):
        """Make it, unless it is there. It keeps what it is sent, however old that says it is."""
        words = ctypes.create_string_buffer(512)
        topics = (P * 1)(self._call("NewTopic_new", name.encode(), partitions, 1, words, len(words)))
        self._check(self._call("NewTopic_set_config", topics[0], b"retention.ms", b"-1"))
        queue = self._call("queue_new", self.producer)
        self._call("CreateTopics", self.producer, topics, 1, None, queue)
        event = self._call("queue_poll", queue, ADMIN_TIMEOUT_MS)
        if not event:
            raise OSError(f"Kafka: no answer about topic {name}")
        self._check(self._call("event_error", event))
        count = ctypes.c_size_t()
        code = self._call("topic_result_error", self._call(
            "CreateTopics_result_topics", self._call("event_CreateTopics_result", event), ctypes.byref(count))[0])  # fmt: skip
        if code != TOPIC_ALREADY_EXISTS:
            self._check(code)
        self._call("event_destroy", event)
        self._call("queue_destroy", queue)
        self._call("NewTopic_destroy", topics[0])

    def send(self, topic, value, timestamp_ms=None):
        arguments = [Tagged(TOPIC, Argument(text=topic.encode())), Tagged(VALUE, Argument(bytes=Bytes(value, len(value)))),
                     Tagged(FLAGS, Argument(number=COPY))]  # fmt: skip
        if timestamp_ms is not None:
            arguments.append(Tagged(TIMESTAMP, Argument(number=timestamp_ms)))
        array = (Tagged * len(arguments))(*arguments)
        error = self._call("produceva", self.producer, array, len(arguments))
        if error:
            raise OSError("Kafka: " + self._call("error_string", error).decode())

    def flush(self):
        self._check(self._call("flush", self.producer, ADMIN_TIMEOUT_MS))

    def reader(self, topic, partitions=1):
        self.readers.append(Reader(self, topic, partitions))
        return self.readers[-1]

    def close(self):
        for reader in self.readers:
            reader.close()
        self._call("destroy", self.producer)


class Reader:
    """What is committed in a topic; `values` grows with each read()."""

    def __init__(self, kafka, topic, partitions=1):
        self.kafka, self.partitions, self.values = kafka, partitions, []
        settings = {"group.id": "reader", "isolation.level": "read_committed", "enable.partition.eof": "true", "enable.auto.commit": "false"}
        self.client = kafka._client(CONSUMER, settings)
        places = kafka._call("topic_partition_list_new", partitions)
        for n in range(partitions):
            kafka._call("topic_partition_list_add", places, topic.encode(), n)
            kafka._call("topic_partition_list_set_offset", places, topic.encode(), n, FROM_BEGINNING)
        kafka._check(kafka._call("assign", self.client, places))
        kafka._call("topic_partition_list_destroy", places)

    def read(self, seconds=0.3):
        """Take what has come, until nothing has for so long. Ends of partitions are told once only, so they say nothing."""
        while True:
            message = self.kafka._call("consumer_poll", self.client, int(seconds * 1000))
            if not message:
                return self.values
            if message.contents.err == 0:
                self.values.append(ctypes.string_at(message.contents.payload, message.contents.len))
            elif message.contents.err != PARTITION_EOF:
                self.kafka._check(message.contents.err)
            self.kafka._call("message_destroy", ctypes.cast(message, P))

    def close(self):
        self.kafka._call("consumer_close", self.client)
        self.kafka._call("destroy", self.client)
