const remote = (name) => name.startsWith("http:");

export async function resolve(name, context, next) {
  return remote(name) ? { url: name, shortCircuit: true } : next(name, context);
}

export async function load(url, context, next) {
  if (!remote(url)) return next(url, context);
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return { format: "module", source: await answer.text(), shortCircuit: true };
}
