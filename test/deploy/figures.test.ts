/** The alerts and dashboards in deploy/: the alerts fire when they should, and every figure they ask for is in /metrics. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';
import { type EveryService, startEveryService } from '../http/every-service.ts';

const DEPLOY = path.resolve('deploy');
const ALERTS = path.join(DEPLOY, 'prometheus/alerts.yml');
const RULE_TESTS = path.join(DEPLOY, 'prometheus/alerts.test.yml');
const BOARDS = path.join(DEPLOY, 'grafana');
/** Labels that Prometheus adds to every sample of a process. */
const OF_TARGET = ['job', 'instance'];
/** Values of labels that are there only on some systems: Redis has a limit only where one is set. */
const SOMETIMES = ['limit'];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
  };
}
interface Board {
  readonly uid: string;
  readonly panels: readonly { title: string; targets: readonly { expr: string; legendFormat: string }[] }[];
}

const run = promisify(execFile);
const rules: Rule[] = parse(fs.readFileSync(ALERTS, 'utf8')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
);
const boards: Board[] = fs
  .readdirSync(BOARDS)
  .map((file) => JSON.parse(fs.readFileSync(path.join(BOARDS, file), 'utf8')));
/** The panels' expressions as Grafana sends them. */
const asked = boards.flatMap(({ panels }) =>
  panels.flatMap(({ title, targets }) =>
    targets.map(({ expr, legendFormat }) => ({
      title,
      legendFormat,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'tiffin'),
    })),
  ),
);

function whyNoPromtool(): string | undefined {
  if (spawnSync('promtool', ['--version']).status === 0) return undefined;
  const why = 'there is no promtool on the PATH (Debian has it in the package prometheus)';
  if (process.env.PROMTOOL_TESTS === 'required') throw new Error(`PROMTOOL_TESTS=required, and ${why}`);
  return why;
}

describe('promtool', { skip: whyNoPromtool() ?? false }, () => {
  test('takes the alerts, and they fire and stay quiet as their tests say', async () => {
    await run('promtool', ['check', 'rules', '--lint-fatal', ALERTS]);
    await run('promtool', ['test', 'rules', RULE_TESTS]);
  });

  test('can read the expression of every panel', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-panels-'));
    const file = path.join(folder, 'panels.yml');
    const recorded = asked.map(({ expr }, n) => ({ record: `panel_${n}`, expr }));
    fs.writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: recorded }] }));
    await run('promtool', ['check', 'rules', file]).finally(() => fs.rmSync(folder, { recursive: true }));
  });
});

test('every alert has a test in which it fires, a time, a severity, and a section of the documents that exists', () => {
  const tests = fs.readFileSync(RULE_TESTS, 'utf8');
  const sections = new Set(
    [...fs.readFileSync('docs/operations.md', 'utf8').matchAll(/^## (.*)$/gm)].map(
      ([, title = '']) => `docs/operations.md#${slugOf(title)}`,
    ),
  );
  assert.ok(rules.length > 10);
  for (const { alert, labels, annotations, for: lasting } of rules) {
    assert.ok(
      tests.includes(`ALERTS{alertname="${alert}", alertstate="firing"`),
      `${alert} fires in no test`,
    );
    assert.match(lasting, /^\d+[sm]$/, alert);
    assert.match(labels.severity, /^(critical|warning)$/, alert);
    assert.ok(annotations.summary && annotations.description, alert);
    assert.ok(sections.has(annotations.runbook_url), `${alert}: ${annotations.runbook_url}`);
  }
});

/** The anchor that a Markdown heading gets. */
function slugOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

interface Family {
  /** The labels that it is declared with. */
  readonly labels: readonly string[];
  /** The labels of each of its samples. */
  readonly samples: readonly Readonly<Record<string, string>>[];
}

describe('every figure', () => {
  let every: EveryService;
  const families = new Map<string, Family>();

  before(async () => {
    every = await startEveryService();
    // The process has no consumers; each figure is declared with its labels all the same, and those without labels have samples.
    const text = await (await fetch(`${every.url}/metrics`)).text();
    const samples = new Map<string, Record<string, string>[]>();
    for (const [, name = '', labels = ''] of text.matchAll(/^([a-z_0-9]+)(?:\{(.*)\})? \S+$/gm)) {
      const pairs = [...labels.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]);
      samples.set(name, [...(samples.get(name) ?? []), Object.fromEntries(pairs)]);
    }
    const { registry } = every.wiring.telemetry;
    for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] };
      if (type === 'histogram')
        families.set(`${name}_bucket`, {
          labels: [...labelNames, 'le'],
          samples: samples.get(`${name}_bucket`) ?? [],
        });
      else families.set(name, { labels: labelNames, samples: samples.get(name) ?? [] });
    }
    families.set('up', { labels: [], samples: [] });
  });
  after(() => every?.close());

  test('that an alert or a panel asks for is in /metrics, with its labels and their values', () => {
    const expressions = [...rules.map(({ alert, expr }) => ({ title: alert, expr })), ...asked];
    for (const { title, expr } of expressions) {
      const selectors = queryOf(expr).selectors;
      assert.ok(selectors.length > 0, `${title} asks for nothing: ${expr}`);
      for (const { metric, matchers } of selectors) {
        const family = families.get(metric);
        assert.ok(family, `${title}: /metrics has no ${metric}`);
        for (const [label, value] of matchers) {
          if (OF_TARGET.includes(label)) continue;
          assert.ok(family.labels.includes(label), `${title}: ${metric} has no label ${label}`);
          assert.ok(
            SOMETIMES.includes(value) || family.samples.some((sample) => sample[label] === value),
            `${title}: ${metric} has no ${label}="${value}"`,
          );
        }
      }
      const known = new Set([
        ...OF_TARGET,
        ...selectors.flatMap(({ metric }) => families.get(metric)?.labels ?? []),
      ]);
      for (const label of queryOf(expr).groupings)
        assert.ok(known.has(label), `${title}: no figure has the label ${label}`);
    }
  });

  test('is written in a legend and a summary by labels that the expression keeps', () => {
    const texts = [
      ...asked.map(({ title, expr, legendFormat }) => ({
        title,
        expr,
        labels: labelsIn(legendFormat, /\{\{(\w+)\}\}/g),
      })),
      ...rules.map(({ alert, expr, annotations }) => ({
        title: alert,
        expr,
        labels: labelsIn(annotations.summary, /\$labels\.(\w+)/g),
      })),
    ];
    assert.ok(texts.some(({ labels }) => labels.length > 0));
    for (const { title, expr, labels } of texts) {
      const grouped = queryOf(expr).groupings;
      const kept =
        grouped.length > 0
          ? grouped
          : queryOf(expr).selectors.flatMap(({ metric }) => families.get(metric)?.labels ?? []);
      for (const label of labels)
        assert.ok(
          kept.includes(label) || (grouped.length === 0 && OF_TARGET.includes(label)),
          `${title}: ${label}`,
        );
    }
  });

  test('of Tiffin’s own is on a dashboard', () => {
    const shown = new Set(asked.flatMap(({ expr }) => queryOf(expr).selectors.map(({ metric }) => metric)));
    const own = [...families.keys()].filter((name) => name.startsWith('tiffin_'));
    assert.deepEqual(
      own.filter((name) => !shown.has(name)),
      [],
    );
  });
});

const labelsIn = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, label = '']) => label);

interface Selector {
  readonly metric: string;
  readonly matchers: readonly (readonly [label: string, value: string])[];
}

/** What an expression selects, and by which labels it groups, by Prometheus's own grammar. Throws if it is no PromQL. */
function queryOf(expr: string): { selectors: Selector[]; groupings: string[] } {
  const selectors: { metric: string; matchers: [string, string][] }[] = [];
  const groupings: string[] = [];
  parser.parse(expr).iterate({
    enter({ name, from, to, type, node }) {
      if (type.isError) throw new SyntaxError(`not PromQL at ${from}: ${expr}`);
      const text = expr.slice(from, to);
      const parent = node.parent?.name;
      const last = selectors.at(-1);
      const matcher = last?.matchers.at(-1);
      if (name === 'VectorSelector') selectors.push({ metric: '', matchers: [] });
      else if (parent === 'VectorSelector' && name === 'Identifier' && last) last.metric = text;
      else if (parent === 'GroupingLabels') groupings.push(text);
      else if (parent === 'UnquotedLabelMatcher' && name === 'LabelName') last?.matchers.push([text, '']);
      else if (parent === 'UnquotedLabelMatcher' && name === 'StringLiteral' && matcher)
        matcher[1] = text.slice(1, -1);
    },
  });
  return { selectors, groupings };
}
