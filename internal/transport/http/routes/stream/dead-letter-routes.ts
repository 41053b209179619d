/** The operator's routes of dead letters: list, read, replay and discard them. */
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { DeadLetter } from '../../../../service/ports.ts';
import {
  type DeadLetterGroups,
  type DeadLetters,
  ERROR_LENGTH,
  type LetterGroup,
} from '../../../../service/stream/ports.ts';
import { type Route, route } from '../../route.ts';
import { limit } from '../orders/order-schemas.ts';

const ID = /^[1-9][0-9]{0,17}$/;

const group = z
  .string({ error: 'must name a consumer' })
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'must be the name of a consumer')
  .meta({ description: 'the consumer that failed, such as payment-service.settle' });
const error = z
  .string()
  .regex(new RegExp(`^[^\\u0000]{1,${ERROR_LENGTH}}$`, 'u'), `must be 1 to ${ERROR_LENGTH} characters`)
  .optional()
  .meta({ description: `only letters whose error is this, or begins with these ${ERROR_LENGTH} characters` });
const groupQuery = z.object({ group, error });
const counted = z.object({ count: z.int().min(0) });

const listQuery = z.object({
  group: group.optional(),
  error,
  cursor: z.string().regex(ID, 'must be the nextCursor of an earlier page').optional(),
  limit,
});

const time = z.string().meta({ format: 'date-time' });
const deadLetter = z
  .object({
    id: z.string(),
    consumer: z.string(),
    eventId: z.string(),
    orderId: z.string(),
    topic: z.string(),
    record: z.unknown().meta({ description: 'the record as received' }),
    error: z.string().optional().meta({ description: 'absent for an event parked behind a dead letter' }),
    retryCount: z.int().min(0),
    createdAt: time,
  })
  .meta({ id: 'DeadLetter' });

const letterGroup = z
  .object({
    consumer: z.string(),
    error: z.string().meta({ description: `at most ${ERROR_LENGTH} characters` }),
    count: z.int().min(1),
    replaying: z.int().min(0).meta({ description: 'how many of them wait for a replay that was requested' }),
    firstAt: time,
    lastAt: time,
  })
  .meta({ id: 'DeadLetterGroup' });

const OPERATOR = { access: { roles: ['operator'] }, tag: 'Dead letters' } as const;
const params = { id: z.string().regex(ID) };
const NOT_FOUND = { description: 'There is no such dead letter' };

export function deadLetterRoutes({
  deadLetters,
}: {
  readonly deadLetters: DeadLetters & DeadLetterGroups;
}): readonly Route[] {
  return [
    route({
      ...OPERATOR,
      method: 'GET',
      path: '/admin/dlq',
      summary: 'Lists all dead letters, or those of one consumer or with one error, in pages',
      query: listQuery,
      answers: {
        200: {
          description: 'A page, and the cursor of the next one',
          schema: z.object({ deadLetters: z.array(deadLetter), nextCursor: z.string().nullish() }),
        },
      },
      async handle(ctx, { query: { cursor, limit, group, error } }) {
        const letters = await deadLetters.list({
          limit: limit + 1,
          ...(cursor ? { after: cursor } : {}),
          ...(group ? { consumer: group } : {}),
          ...(error ? { error } : {}),
        });
        const page = letters.slice(0, limit);
        ctx.body = {
          deadLetters: page.map(present),
          nextCursor: letters.length > limit ? page.at(-1)?.id : null,
        };
      },
    }),
    route({
      ...OPERATOR,
      method: 'GET',
      path: '/admin/dlq/groups',
      summary: 'The dead letters grouped by consumer and error, the largest groups first',
      answers: {
        200: {
          description:
            'The groups; `isComplete` is false if there are others: the newest 10,000 letters and parked events are read, and 200 groups returned',
          schema: z.object({ groups: z.array(letterGroup), isComplete: z.boolean() }),
        },
      },
      async handle(ctx) {
        const { groups, isComplete } = await deadLetters.groups();
        ctx.body = {
          groups: groups.map((group) => ({
            ...group,
            firstAt: toRfc3339(group.firstAt),
            lastAt: toRfc3339(group.lastAt),
          })),
          isComplete,
        };
      },
    }),
    route({
      ...OPERATOR,
      method: 'GET',
      path: '/admin/dlq/:id',
      params,
      summary: 'One dead letter',
      answers: {
        200: {
          description: 'The dead letter',
          schema: deadLetter.extend({
            recordText: z.string().meta({ description: 'the JSON of the record, with every digit' }),
          }),
        },
        404: NOT_FOUND,
      },
      async handle(ctx, { params }) {
        const letter = await deadLetters.find(letterId(params.id));
        if (!letter) throw notFound(params.id);
        ctx.body = present(letter);
      },
    }),
    /** Within seconds the consumer retries the dead letter, then the events parked behind it. If it fails, it stays. */
    route({
      ...OPERATOR,
      method: 'POST',
      path: '/admin/dlq/:id/replay',
      params,
      summary: 'Replays a dead letter: its consumer handles the event again',
      answers: {
        202: {
          description: 'The replay starts within seconds; the dead letter stays if it fails again',
          schema: z.object({ id: z.string(), replay: z.literal('requested') }),
        },
        404: NOT_FOUND,
      },
      async handle(ctx, { params: { id } }) {
        if (!(await deadLetters.requestReplay(letterId(id)))) throw notFound(id);
        ctx.status = 202;
        ctx.body = { id, replay: 'requested' };
      },
    }),
    route({
      ...OPERATOR,
      method: 'DELETE',
      path: '/admin/dlq/:id',
      params,
      summary: 'Discards a dead letter; the events parked behind it are handled',
      answers: { 204: { description: 'The dead letter was discarded' }, 404: NOT_FOUND },
      async handle(ctx, { params: { id } }) {
        if (!(await deadLetters.discard(letterId(id)))) throw notFound(id);
        ctx.status = 204;
      },
    }),
    route({
      ...OPERATOR,
      method: 'POST',
      path: '/admin/dlq/replay',
      summary: 'Replays all dead letters of a consumer, or those with one error',
      query: groupQuery,
      answers: {
        202: { description: 'The number of dead letters; those that fail again stay', schema: counted },
      },
      async handle(ctx, { query }) {
        ctx.status = 202;
        ctx.body = { count: await deadLetters.requestReplayOf(toGroup(query)) };
      },
    }),
    route({
      ...OPERATOR,
      method: 'DELETE',
      path: '/admin/dlq',
      summary:
        'Discards all dead letters of a consumer, or those with one error; the events parked behind them are handled',
      query: groupQuery,
      answers: { 200: { description: 'The number of discarded dead letters', schema: counted } },
      async handle(ctx, { query }) {
        ctx.body = { count: await deadLetters.discardAllOf(toGroup(query)) };
      },
    }),
  ];
}

function toGroup({ group, error }: z.infer<typeof groupQuery>): LetterGroup {
  return { consumer: group, ...(error === undefined ? {} : { error }) };
}

function letterId(text: string): string {
  if (!ID.test(text)) throw notFound(text);
  return text;
}

function notFound(id: string): TiffinError {
  return new TiffinError('DEAD_LETTER_NOT_FOUND', `there is no dead letter '${id}'`);
}

function present<Letter extends DeadLetter>({ createdAt, ...letter }: Letter) {
  return { ...letter, createdAt: toRfc3339(createdAt) };
}
