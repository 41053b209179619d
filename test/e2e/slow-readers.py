"""Opens streams, and reads of each nothing, or a byte a second. Small segments and buffers make the server see it at once."""

import socket
import sys
import time

port, path, *tokens = sys.argv[1:]
streams = []
for token in tokens:
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    stream.connect(("127.0.0.1", int(port)))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    stream.sendall(head.encode())
    streams.append(stream)
# Each answer begins: all are accepted.
for stream in streams:
    assert stream.recv(12) == b"HTTP/1.1 200", "a stream was refused"
print("open", flush=True)
while True:
    for stream in streams[::2]:
        try:
            stream.recv(1)
        except OSError:
            pass
    time.sleep(1)
