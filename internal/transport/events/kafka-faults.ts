/** Translates the errors of kafkajs and of TLS into Tiffin's, with a sentence for what an operator has to mend. */
import { faultOf, TiffinError } from '../../domain/errors.ts';
import { within as withinLimit } from '../../service/time-limit.ts';

/** Errors caused by the record itself; every other error is transient, even if an operator has to repair its cause. */
const REFUSED = /^(MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD|INVALID_TOPIC_EXCEPTION)$/;

/** What Node's error codes of TLS mean here. */
const TLS_FAULTS: readonly [code: RegExp, sentence: string][] = [
  [
    /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|CERT_SIGNATURE_FAILURE/,
    "the broker's certificate is not signed by an authority that KAFKA_CA_FILE names",
  ],
  [/CERT_HAS_EXPIRED/, "the broker's certificate has expired"],
  [/ERR_TLS_CERT_ALTNAME_INVALID/, "the broker's certificate is for other names than KAFKA_BROKERS has"],
  [
    /ALERT.*(CERTIFICATE|UNKNOWN_CA)/,
    'the broker refuses the certificate of this client (KAFKA_CERT_FILE, KAFKA_KEY_FILE)',
  ],
  [/WRONG_VERSION_NUMBER|EPROTO/, 'the broker does not speak TLS at this port (KAFKA_SSL)'],
];

/** Converts an error to UNAVAILABLE, or to INTERNAL if the broker refuses the record itself. */
export function asUnavailable(error: unknown): TiffinError {
  if (error instanceof TiffinError) return error;
  let reason = error instanceof Error ? error.message : faultOf(error);
  const [first] = (error as { errors?: readonly unknown[] }).errors ?? [];
  if (first instanceof Error) reason = `${reason}: ${first.message}`;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { type, code, name } = cause as { type?: unknown; code?: unknown; name: string };
    if (REFUSED.test(String(type ?? '')))
      return new TiffinError('INTERNAL', `Kafka refused a record: ${type}`, { cause: error });
    const tls = TLS_FAULTS.find(([pattern]) => pattern.test(String(code ?? '')));
    if (tls) reason = tls[1];
    if (name === 'KafkaJSSASLAuthenticationError')
      reason = `the broker refuses the login of this client: ${cause.message}`;
  }
  return new TiffinError('UNAVAILABLE', `Kafka: ${reason}`, { cause: error });
}

/** Rejects with UNAVAILABLE after the limit; the work itself is not cancelled. */
export function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return withinLimit(limitMs, work, 'Kafka');
}
