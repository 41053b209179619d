/** Opens Kafka connections that can be severed at any moment. */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type ISocketFactory, Kafka, logLevel } from 'kafkajs';
import type { KafkaAccess } from './kafka-access.ts';
import type { KafkaLog } from './kafka-log.ts';

export interface KafkaConnection {
  readonly kafka: Kafka;
  /** Destroys every socket and opens no new one, so that no abandoned request is sent later; works without a broker. */
  sever(): void;
  isSevered(): boolean;
}

export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** TLS and SASL; by default neither. */
  readonly access?: KafkaAccess;
}

const CONNECT_LIMIT_MS = 3_000;
/** A request that takes longer is on a connection that died. */
const REQUEST_LIMIT_MS = 2_500;
/** About 1 s in total; after that the caller retries with a new connection. */
const RETRY = { initialRetryTime: 50, maxRetryTime: 200, retries: 6 };
const KEEP_ALIVE_MS = 60_000;
/** A connection logs in anew this long before its login ends; more than every half of a token's life that makes sense. */
const LOGIN_MARGIN_MS = 3_000;

export function openKafka(
  { brokers, clientId, access = () => ({}) }: KafkaSettings,
  log: KafkaLog,
  onSever: () => void = () => {},
  requestLimitMs = REQUEST_LIMIT_MS,
): KafkaConnection {
  const sockets = new Set<Socket>();
  let severed = false;
  const { identity, unreadable } = identityBy(access);

  const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (severed) throw new Error('the connection to Kafka was severed');
    if (unreadable) throw unreadable;
    const address = { host, port, noDelay: true };
    const socket = ssl
      ? connectTls({ ...address, ...(!isIP(host) && { servername: host }), ...ssl }, onConnect)
      : connect(address, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };

  return {
    kafka: new Kafka({
      brokers: [...brokers],
      clientId,
      connectionTimeout: CONNECT_LIMIT_MS,
      requestTimeout: requestLimitMs,
      reauthenticationThreshold: LOGIN_MARGIN_MS,
      retry: RETRY,
      socketFactory,
      logLevel: logLevel.INFO,
      logCreator: () => (entry) => {
        if (!severed) log.line(entry);
      },
      ...identity,
    }),
    isSevered: () => severed,
    sever() {
      severed = true;
      onSever();
      for (const socket of sockets) socket.destroy(new Error('the connection to Kafka was severed'));
    },
  };
}

/** A file that cannot be read now is a fault of each attempt to connect, so that it is retried as every other. */
function identityBy(access: KafkaAccess): { identity?: ReturnType<KafkaAccess>; unreadable?: Error } {
  try {
    return { identity: access() };
  } catch (error) {
    return { unreadable: error as Error };
  }
}
