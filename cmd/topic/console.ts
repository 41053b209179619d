/** The operations that the console needs of a stream; kafka.ts and postgres.ts implement them. */
export interface TopicConsole {
  /** Calls `take` with each record in turn, until it returns false. */
  consume(topic: string, fromBeginning: boolean, take: (record: string) => boolean): Promise<void>;
  produce(topic: string, key: string, value: string): Promise<void>;
  close(): Promise<void>;
}
