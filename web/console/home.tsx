/** The console's home: what each view is for, and how things are. */
import { api, outcomeOf, send } from '../server.ts';
import { lettersText } from './letters-address.ts';
import { usePolled } from './polled.ts';
import { View } from './view.tsx';

/** What `/readyz` says; it answers 503 with it when the process is not ready. */
interface Readiness {
  readonly status: string;
  readonly checks: Readonly<Record<string, string>>;
}

async function read() {
  const [ready, scheduler, letters] = await Promise.all([
    send('/readyz')
      .then(async (response) => (await response.json()) as Readiness)
      .catch(() => undefined),
    outcomeOf(api.GET('/scheduler')),
    outcomeOf(api.GET('/admin/dlq/groups')),
  ]);
  const faults = letters.faults;
  return faults.length > 0
    ? { faults }
    : { faults, data: { ready, scheduler: scheduler.data, letters: letters.data! } };
}

export function Home() {
  const polled = usePolled('home', read);
  const { ready, scheduler, letters } = polled.data ?? {};
  const faults = Object.entries(ready?.checks ?? {}).filter(([, found]) => found !== 'ok');
  const count = letters?.groups.reduce((sum, group) => sum + group.count, 0) ?? 0;
  return (
    <View title="Home" polled={polled}>
      <dl class="overview">
        <dt>Health</dt>
        <dd>
          <strong class={ready?.status === 'ready' ? 'good' : 'late'}>{ready?.status ?? 'unknown'}</strong>
          {faults.map(([name, found]) => (
            <p key={name} class="fault">{`${name}: ${found}`}</p>
          ))}
        </dd>
        <dt>Schedule</dt>
        <dd>
          {scheduler
            ? `${scheduler.state}, ${scheduler.waiting.toLocaleString('en')} waiting, ${scheduler.due.toLocaleString('en')} due`
            : 'not answered by this process'}
        </dd>
        <dt>
          <a href="/console/letters">Dead letters</a>
        </dt>
        <dd>
          {count === 0
            ? 'none'
            : `${letters?.isComplete ? '' : 'more than '}${lettersText(count)} in ${letters?.groups.length} ${letters?.groups.length === 1 ? 'group' : 'groups'}`}
          <p class="hint">
            Events that a consumer could not handle: look at each, then replay or discard it.
          </p>
        </dd>
      </dl>
    </View>
  );
}
