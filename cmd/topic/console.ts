/** What the console needs of a stream; Kafka and Postgres each have a file of their own. */
export interface TopicConsole {
  /** Calls back with each record in turn; ends when it answers false. */
  consume(topic: string, fromBeginning: boolean, take: (record: string) => boolean): Promise<void>;
  produce(topic: string, key: string, value: string): Promise<void>;
  close(): Promise<void>;
}
