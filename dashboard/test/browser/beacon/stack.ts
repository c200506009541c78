// The whole way: the real Caddy before a folder of pages, the real aggregator
// behind it, and what its books say.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROJECT = join(import.meta.dirname, "..", "..", "..", "..");
const SITE = "whole.example";

/** What the page views of a day are made of, as /api/stats/accounting says. */
export interface Pageviews {
  recorded: number;
  activated: number;
  script_only: number;
  cached: number;
  reclassified: number;
  people: number;
}

export class Stack {
  readonly #children: ChildProcess[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "whole-"));
  readonly #pages = join(this.#folder, "pages");
  url = "";
  #api = "";

  static async start(): Promise<Stack> {
    const stack = new Stack();
    mkdirSync(stack.#pages);
    for (const name of ["eider", "caddy"]) {
      execFileSync("go", ["build", "-o", join("bin", "test", name), `./cmd/${name}`], {
        cwd: PROJECT,
        stdio: "inherit",
        env: { ...process.env, CGO_ENABLED: name === "caddy" ? "0" : "1" },
      });
    }
    const [api, site] = [await freePort(), await freePort()];
    stack.#api = `http://127.0.0.1:${api}`;
    stack.url = `http://127.0.0.1:${site}`;
    const env = { ...process.env, EIDER_EDGE_TOKEN: randomBytes(24).toString("hex"), XDG_DATA_HOME: stack.#folder, XDG_CONFIG_HOME: stack.#folder };
    writeFileSync(join(stack.#folder, "Caddyfile"), stack.#caddyfile(site));
    stack.#run("eider", ["serve", "--data", join(stack.#folder, "data"), "--listen", `127.0.0.1:${api}`], env);
    await answers(`${stack.#api}/health/ready`);
    stack.#run("caddy", ["run", "--config", join(stack.#folder, "Caddyfile"), "--adapter", "caddyfile"], env);
    writeFileSync(join(stack.#pages, "favicon.ico"), "");
    await answers(`${stack.url}/e/e.js`);
    return stack;
  }

  #caddyfile(port: number): string {
    return `{
	admin off
	persist_config off
	eider {
		aggregator ${this.#api}
		token {env.EIDER_EDGE_TOKEN}
		queue ${join(this.#folder, "queue")} {
			max_size 64MiB
			reserve_free 64MiB
			unsafe_fs
		}
	}
}
http://127.0.0.1:${port} {
	bind 127.0.0.1
	eider {
		site ${SITE}
		script /e
	}
	root * ${this.#pages}
	@keep path /kept.html
	header @keep Cache-Control max-age=600
	file_server
}
`;
  }

  #run(name: string, args: string[], env: NodeJS.ProcessEnv): void {
    const log: string[] = [];
    const child = spawn(join(PROJECT, "bin", "test", name), args, { cwd: this.#folder, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => log.push(chunk.toString()));
    child.once("exit", (code, signal) => {
      if (signal !== "SIGTERM" && code !== 0) console.error(`${name} ended with ${code ?? signal}:\n${log.join("").slice(-4000)}`);
    });
    this.#children.push(child);
  }

  /** page writes /NAME.html, with the script unless told otherwise. */
  page(name: string, body: string, script = `<script defer src="/e/e.js"></script>`): void {
    writeFileSync(join(this.#pages, `${name}.html`), `<!doctype html><title>${name}</title>${script}${body}`);
  }

  async views(): Promise<Pageviews> {
    const response = await fetch(`${this.#api}/api/stats/accounting?period=7d&site_id=whole-example`);
    if (!response.ok) throw new Error(`accounting: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { pageviews: Pageviews }).pageviews;
  }

  /** become waits until the books say what they must, and looks that they stay so. */
  async become(want: Partial<Pageviews>): Promise<void> {
    const good = (got: Pageviews) => Object.entries(want).every(([key, n]) => got[key as keyof Pageviews] === n);
    const end = Date.now() + 20_000;
    let got = await this.views();
    while (!good(got)) {
      if (Date.now() > end) throw new Error(`the books say ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
      await pause(200);
      got = await this.views();
    }
    await pause(1000);
    got = await this.views();
    if (!good(got)) throw new Error(`the books went on to ${JSON.stringify(got)}, from ${JSON.stringify(want)}`);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(url: string): Promise<void> {
  for (const end = Date.now() + 30_000; ; await pause(100)) {
    try {
      if ((await fetch(url)).ok) return;
    } catch {
      // not yet
    }
    if (Date.now() > end) throw new Error(`${url} does not answer`);
  }
}
