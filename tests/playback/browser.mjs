// Plays recordings in headless Chromium: browser.mjs PLAN. Looks at each page light, dark and narrow, and keeps pictures of them.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(join(plan.node, "package.json"))("playwright-core");

const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  narrow: { colorScheme: "light", viewport: { width: 390, height: 800 } },
};

const fail = (what, found) => {
  throw new Error(`${what}: ${JSON.stringify(found)}`);
};
const require = (holds, what, found) => holds || fail(what, found);

// Notes try to run a script and to load a picture that is not there, and a player asks for files that not every recording has.
const BLOCKED = (complaint) => /sandboxed|inline event handler|Content Security Policy|status of 404/.test(complaint);

const browser = await chromium.launch({ executablePath: plan.chromium, args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"] });

// A page that may complain of nothing and ask no other host.
const open = async (look = LOOKS.light) => {
  const context = await browser.newContext(look);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && !plan.hosts.includes(url.host)) complaints.push(`asks ${url.host}`);
  });
  const close = async (expected = () => false) => {
    const found = complaints.filter((complaint) => !expected(complaint));
    require(found.length === 0, page.url().replace(/\d+\.[\w-]{43}/, "TICKET"), found);
    await context.close();
  };
  return { page, close };
};

const media = (page) => page.locator("video, audio").first();
const time = (page) => media(page).evaluate((element) => element.currentTime);
const plays = async (page) => {
  await media(page).evaluate((element) => Object.assign(element, { muted: true }).play());
  await page.waitForFunction(() => document.querySelector("video, audio").currentTime > 0.2);
};

// Each of our pages, in each look.
for (const [name, url] of Object.entries(plan.pages)) {
  for (const [look, options] of Object.entries(LOOKS)) {
    const { page, close } = await open(options);
    const answer = await page.goto(url, { waitUntil: "load" });
    require(answer.status() === 200, `${name} is answered`, answer.status());
    require((await page.title()) === plan.title, `${name} has its title`, await page.title());
    const width = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    require(width[0] <= width[1], `${name} fits a ${look} screen`, width);
    if (await media(page).count()) {
      await plays(page);
      await media(page).evaluate((element) => element.pause());
    }
    await page.screenshot({ path: join(plan.pictures, `${name}-${look}.png`), fullPage: true });
    await close(BLOCKED);
  }
}

// A page of a recording that is not there for its visitor.
for (const [look, options] of Object.entries(LOOKS)) {
  const { page, close } = await open(options);
  require((await page.goto(plan.locked)).status() === 403, "a protected recording is locked");
  await page.screenshot({ path: join(plan.pictures, `locked-${look}.png`), fullPage: true });
  await close((complaint) => complaint.includes("403"));
}

// Parts of files, slides, and the keyboard.
{
  const { page, close } = await open();
  const parts = [];
  page.on("response", (answer) => answer.request().headers().range && parts.push(answer.status()));
  await page.goto(plan.pages.presentation);
  await plays(page);
  require(parts.length > 0 && parts.every((status) => status === 206), "media come in parts", parts);
  const slides = page.locator(".slides button");
  require((await slides.count()) === 4, "four slides were shown", await slides.count());
  await slides.nth(2).click();
  await page.waitForFunction(() => document.querySelector("video").currentTime >= 6);
  const shown = await page.locator("#slide").getAttribute("src");
  require(shown.endsWith("slide-3.png"), "the large slide follows", shown);
  await page.waitForFunction(() => {
    const [lead, other] = document.querySelectorAll("video");
    return Math.abs(lead.currentTime - other.currentTime) < 0.5;
  });
  await slides.nth(1).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("video").currentTime < 5);
  await page.waitForFunction(() => document.querySelector("#slide").src.endsWith("slide-2.png"));
  await media(page).evaluate((element) => (element.currentTime = element.duration - 0.1));
  await page.waitForFunction(() => document.querySelector("#slide").src.endsWith("slide-1.png"));
  const captions = await media(page).evaluate(async (element) => {
    element.textTracks[0].mode = "showing";
    while (!element.textTracks[0].cues?.length) await new Promise((done) => setTimeout(done, 20));
    return element.textTracks[0].cues[0].text;
  });
  require(captions === "Hello, Wörld", "captions are shown", captions);
  await close(BLOCKED);
}

// In a frame of another site.
{
  const { page, close } = await open();
  await page.goto(plan.framing);
  const frame = page.frames()[1];
  await frame.waitForFunction(() => document.querySelector("video"));
  await frame.evaluate(() => Object.assign(document.querySelector("video"), { muted: true }).play());
  await frame.waitForFunction(() => document.querySelector("video").currentTime > 0.2);
  await close(BLOCKED);
}

// Documents of strangers.
for (const url of plan.documents) {
  const { page, close } = await open();
  await page.goto(url);
  require((await page.title()) === "notes", "nothing runs in a document", await page.title());
  await close(BLOCKED);
}

// The requests of the stock player: on its own page, with a ticket in its prefix, and from a page of another host.
for (const [name, url] of Object.entries(plan.players)) {
  const { page, close } = await open();
  await page.goto(url);
  const played = await page.evaluate(() => window.played);
  require(played.id === plan.records[name], `${name} plays`, played);
  require(played.source === "video/webcams.webm" && played.time >= played.duration - 2.5, `${name} seeks`, played);
  require(played.cues === 1 && played.slides.length === 3 && played.slides.every((width) => width === 640), `${name} shows`, played);
  // Pages of another host have policies of their own.
  require(name === "elsewhere" || (await page.title()) === "Player", `notes run nothing in ${name}`);
  await close(BLOCKED);
}

await browser.close();
