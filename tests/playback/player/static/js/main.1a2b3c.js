// The requests of bbb-playback in their order, and what it does with the answers.
"use strict";

const record = location.pathname.split("/").filter(Boolean).at(-1);
const prefix = new URLSearchParams(location.search).get("p");
const root = (id) => `${window.mediaRoot ?? "/presentation"}/${prefix ? `${prefix}/` : ""}${id}`;
const xml = (text) => new DOMParser().parseFromString(text, "text/xml");
const video = document.getElementById("video");

const data = async (file) => {
  const answer = await fetch(`${root(record)}/${file}`);
  return answer.ok ? answer.text() : null;
};
// It looks at the end of the final address.
const media = async (file) => {
  const answer = await fetch(`${root(record)}/${file}`, { method: "HEAD" });
  return answer.ok && answer.url.endsWith(file);
};
const once = (name) => new Promise((done) => video.addEventListener(name, done, { once: true }));

const play = async () => {
  if (!/^[a-z0-9]{40}-[0-9]{13}$/.test(record)) throw new Error("400");
  const files = {};
  for (const file of ["metadata.xml", "shapes.svg", "slides_new.xml", "panzooms.xml", "cursor.xml", "deskshare.xml",
    "presentation_text.json", "captions.json", "notes.html", "polls.json", "external_videos.json", "tldraw.json"]) {
    files[file] = await data(file);
    if (file.endsWith(".json") && files[file]) JSON.parse(files[file]);
  }
  const id = xml(files["metadata.xml"]).querySelector("meeting").getAttribute("id");
  document.getElementById("notes").innerHTML = files["notes.html"] ?? "";
  let source = null;
  for (const file of ["video/webcams.mp4", "video/webcams.webm", "audio/audio.webm"]) {
    if (!source && (await media(file))) source = file;
  }
  if (!source) throw new Error("404");
  for (const { locale } of JSON.parse(files["captions.json"] ?? "[]")) {
    const track = document.createElement("track");
    Object.assign(track, { kind: "captions", srclang: locale, src: `${root(id)}/caption_${locale}.vtt`, default: true });
    video.append(track);
  }
  if (window.mediaRoot) video.crossOrigin = "anonymous";
  video.muted = true;
  video.src = `${root(id)}/${source}`;
  await once("loadedmetadata");
  video.currentTime = video.duration - 2;
  await once("seeked");
  await video.play();
  await once("timeupdate");
  const slides = [...xml(files["shapes.svg"]).querySelectorAll("image")].map((image) => image.getAttribute("xlink:href"));
  const sizes = [];
  for (const slide of new Set(slides)) {
    const image = new Image();
    image.src = `${root(id)}/${slide}`;
    await image.decode();
    sizes.push(image.naturalWidth);
  }
  const [track] = video.textTracks;
  track.mode = "showing";
  while (!track.cues?.length) await new Promise((done) => requestAnimationFrame(done));
  return { id, source, time: video.currentTime, duration: video.duration, slides: sizes, cues: track.cues.length };
};

window.played = play().catch((error) => ({ error: `${error.message}\n${error.stack}` }));
