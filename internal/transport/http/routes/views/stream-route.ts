/** The live stream of one order for screens: Server-Sent Events of its changes. */
import type { Context } from 'koa';
import { isFinal, type OrderId } from '../../../../domain/order.ts';
import type { OrderView, Revision } from '../../../../service/views/ports.ts';
import { isNewer, type ViewDeps, viewOrder } from '../../../../service/views/project-views.ts';
import type { Principal } from '../../principal.ts';
import { type Route, route } from '../../route.ts';
import { type LiveStreams, type Message, message } from './live-stream.ts';
import type { RiderFollower } from './rider-position.ts';
import { EVERYBODY, NOT_FOUND, reachable, TAG, toScreen } from './ui-routes.ts';

export interface StreamDeps extends ViewDeps {
  readonly streams: LiveStreams;
  /** Calls the listener on each change of the order's view; returns a function that unsubscribes. */
  readonly onView: (id: OrderId, listener: () => void) => () => void;
}

/** A view and the message that shows it. */
interface Shown {
  readonly view: OrderView;
  readonly shown: Message;
}

interface Follower {
  show(change: Shown): void;
  /** Sends what is no view. */
  send(message: Message): void;
  fail(): void;
}

interface Following {
  /** Takes note of a view that the follower has read by itself. */
  see(view: OrderView): void;
  stop(): void;
}

/** What a stream shows of an order. */
export interface Presentation {
  /** The data of an event `view`. */
  readonly present: (view: OrderView) => unknown;
  /** Sends events beside the views. */
  readonly beside?: (send: (message: Message) => void) => RiderFollower;
}

const END = message('end', {});

/** The answers of a route with such a stream, beside its 404. */
export const STREAM_ANSWERS = {
  200: { description: 'Server-Sent Events', type: 'text/event-stream' },
  204: { description: 'The order has ended, and `Last-Event-ID` names its last view: do not reconnect' },
  429: { description: 'This principal has too many streams open' },
  503: { description: 'Too many streams are open' },
};

export function streamRoute(deps: StreamDeps): Route {
  const stream = orderStream(deps, { present: toScreen });
  return route({
    method: 'GET',
    path: '/ui/orders/:id/stream',
    access: EVERYBODY,
    tag: TAG,
    summary: 'Streams the changes of one order: an event `view` for each change, `end` after the last',
    headers: ['Last-Event-ID'],
    answers: { ...STREAM_ANSWERS, 404: NOT_FOUND },
    handle: async (ctx, { params, principal }) =>
      stream(ctx, principal, await reachable(deps, principal, params.id)),
  });
}

/** Answers a request with the changes of an order from the view `first` on. */
export function orderStream(
  deps: StreamDeps,
  { present, beside }: Presentation,
): (ctx: Context, principal: Principal, first: OrderView) => Promise<void> {
  const shownOf = async (view: OrderView): Promise<Shown> => ({
    view,
    shown: message('view', await present(view), view.revision.join('-')),
  });
  const follow = changesOf(deps, shownOf, beside);
  return async (ctx, principal, first) => {
    const { id } = first.order;
    if (isFinal(first.order.status) && hasSeen(ctx, first)) {
      // The one answer after which an EventSource does not connect again (WHATWG HTML, 9.2.3).
      ctx.status = 204;
      return;
    }
    const begin = await shownOf(first);
    let sent: Revision = [-1, 0];
    let stop = () => {};
    const live = deps.streams.open(ctx, principal, () => stop());
    const show = ({ view, shown }: Shown) => {
      // Two concurrent reads may finish in either order; an older view is not sent after a newer one.
      if (!isNewer(view.revision, sent)) return;
      sent = view.revision;
      live.send(shown);
      if (!isFinal(view.order.status)) return;
      live.send(END);
      live.end();
    };
    const following = follow(id, { show, send: live.send, fail: () => live.end() });
    stop = following.stop;
    show(begin);
    // Read again: the order may have changed between the first read and the subscription.
    const now = await viewOrder(deps, id);
    if (!now) return;
    following.see(now);
    show(await shownOf(now));
  };
}

/** Reads an order's view once for all who follow it, after each change, or after several that come while it is read. */
function changesOf(
  deps: StreamDeps,
  shownOf: (view: OrderView) => Promise<Shown>,
  beside: Presentation['beside'],
): (id: OrderId, follower: Follower) => Following {
  const followed = new Map<OrderId, Following & { readonly followers: Set<Follower> }>();

  function startReading(id: OrderId, followers: ReadonlySet<Follower>): Following {
    let isStale = false;
    let isReading = false;
    let isStopped = false;
    let newest: Revision = [-1, 0];
    const others = beside?.((message) => {
      for (const { send } of followers) send(message);
    });
    const see = (view: OrderView) => {
      if (isStopped || !isNewer(view.revision, newest)) return;
      newest = view.revision;
      others?.see(view);
    };
    const unlisten = deps.onView(id, async () => {
      isStale = true;
      if (isReading) return;
      isReading = true;
      try {
        while (isStale) {
          isStale = false;
          const view = await viewOrder(deps, id);
          if (view) see(view);
          const change = view && (await shownOf(view));
          if (change) for (const { show } of followers) show(change);
        }
      } catch {
        for (const { fail } of followers) fail();
      } finally {
        isReading = false;
      }
    });
    return {
      see,
      stop() {
        isStopped = true;
        unlisten();
        others?.stop();
      },
    };
  }

  return (id, follower) => {
    let group = followed.get(id);
    if (!group) {
      const followers = new Set<Follower>();
      group = { followers, ...startReading(id, followers) };
      followed.set(id, group);
    }
    const { followers, see, stop } = group;
    followers.add(follower);
    return {
      see,
      stop() {
        followers.delete(follower);
        if (followers.size > 0 || followed.get(id)?.followers !== followers) return;
        followed.delete(id);
        stop();
      },
    };
  };
}

/** Whether the client that connects again got this view, or a newer one, before. */
function hasSeen(ctx: Context, { revision }: OrderView): boolean {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(String(ctx.req.headers['last-event-id'] ?? ''));
  return match !== null && !isNewer(revision, [Number(match[1]), Number(match[2])]);
}
