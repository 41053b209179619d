/** The live stream of the orders that a rider has, for the rider's screen. */
import { type Route, route } from '../../route.ts';
import { type CarriedDeps, readRider, riderIdOf } from '../delivery/carried-orders.ts';
import { BOARD_ANSWERS, type BoardDeps, boardStreams } from './board.ts';

export function riderBoardRoutes(deps: BoardDeps & CarriedDeps): readonly Route[] {
  const stream = boardStreams(deps, (id) => readRider(deps, id));
  return [
    route({
      method: 'GET',
      path: '/v1/riders/:rid/stream',
      access: { roles: ['rider', 'operator'], self: { rider: 'rid' } },
      tag: 'Riders',
      summary:
        'Streams a rider and its orders: an event `view` with all of them at the beginning and after each change. There is nothing to resume: a client that connects again gets the current state',
      answers: { ...BOARD_ANSWERS, 404: { description: 'There is no such rider' } },
      handle: (ctx, { params, principal }) => stream(ctx, principal, riderIdOf(params.rid)),
    }),
  ];
}
