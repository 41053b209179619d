/** Decides whether concurrent calls could have taken effect one at a time, each between its call and its return. */

export interface Call<I> {
  readonly input: I;
  readonly invokedAt: number;
  /** Infinity if it may take effect at any time after the call. */
  readonly returnedAt: number;
  /** True if it may also never take effect, since its outcome is unknown. */
  readonly isOptional: boolean;
}

/** A sequential specification: `step` is undefined if the input cannot have had its answer in that state. */
export interface Model<S, I> {
  readonly initial: S;
  readonly step: (state: S, input: I) => S | undefined;
  /** Equal for equal states. */
  readonly nameOf: (state: S) => string;
}

/**
 * Wing and Gong's search with Lowe's memo of what was tried: it takes any call that no unfinished call has returned before,
 * and goes back when the specification refuses. Exponential at worst, so calls are checked order by order.
 */
export function isLinearizable<S, I>(calls: readonly Call<I>[], model: Model<S, I>): boolean {
  const tried = new Set<string>();
  const required = calls.reduce((set, { isOptional }, n) => (isOptional ? set : set | (1n << BigInt(n))), 0n);

  function search(done: bigint, state: S): boolean {
    if ((done & required) === required) return true;
    const name = `${done} ${model.nameOf(state)}`;
    if (tried.has(name)) return false;
    tried.add(name);
    const open = calls.flatMap((call, n) => ((done >> BigInt(n)) & 1n ? [] : [{ call, n }]));
    const firstReturn = Math.min(...open.map(({ call }) => call.returnedAt));
    return open
      .filter(({ call }) => call.invokedAt <= firstReturn)
      .some(({ call, n }) => {
        const next = model.step(state, call.input);
        return next !== undefined && search(done | (1n << BigInt(n)), next);
      });
  }
  return search(0n, model.initial);
}
