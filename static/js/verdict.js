/* What the times at which pieces arrived say of the way that they came. No page, no network. */

/** Server-sent events out of pieces of text, cut anywhere: the data of each that is complete. */
export class Events {
  constructor() {
    this.rest = "";
  }

  feed(text) {
    const events = (this.rest + text).split("\n\n");
    this.rest = events.pop();
    return events.map((event) => event.replace(/^data: /, ""));
  }
}

/* A piece came together with the one before it when less than a quarter of the time was between
   their arrivals that was between their departures. */
const TOGETHER = 0.25;

/**
 * `arrivals`: { of, sent, arrived } of each piece, in order. `sent` and `arrived` are ms on two
 * clocks that nobody has compared, so only what lies between two pieces counts; `arrived` is 0 at
 * the request. `kind` is "streams", "lots" (some came together), "buffered" (all did) or "broken".
 */
export function verdict(arrivals) {
  const count = arrivals.length;
  const of = arrivals[0]?.of ?? 0;
  let lots = Math.min(count, 1);
  let gap = 0;
  for (let i = 1; i < count; i += 1) {
    const sent = arrivals[i].sent - arrivals[i - 1].sent;
    const arrived = arrivals[i].arrived - arrivals[i - 1].arrived;
    if (arrived >= sent * TOGETHER) lots += 1;
    gap = Math.max(gap, arrived);
  }
  const after = count ? arrivals[count - 1].arrived : 0;
  return { kind: kindOf(count, of, lots), count, of, lots, gap, after };
}

function kindOf(count, of, lots) {
  if (count === 0 || count < of) return "broken";
  if (lots === 1) return "buffered";
  // A hiccup of the network lets a few come together, a buffer that is emptied by the clock many.
  return lots > count / 2 ? "streams" : "lots";
}

/** A sentence with its {names} filled in: seconds with one digit, all else whole. */
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) =>
    name === "after" ? (values.after / 1000).toFixed(1) : String(Math.round(values[name])),
  );
}
