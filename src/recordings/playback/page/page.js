
"use strict";
const [lead] = document.querySelectorAll("video, audio");
const others = [...document.querySelectorAll("[data-follows]")];
const slides = [...document.querySelectorAll("[data-at]")];
const large = document.getElementById("slide");

const show = (slide) => {
  if (!slide || slide.hasAttribute("aria-current")) return;
  for (const other of slides) other.removeAttribute("aria-current");
  slide.setAttribute("aria-current", "true");
  large.src = slide.querySelector("img").src;
  slide.parentElement.parentElement.scrollTo({ left: slide.offsetLeft - 100 });
};
const showAt = (time) => show(slides.findLast((slide) => Number(slide.dataset.at) <= time + 0.05) ?? slides[0]);
const follow = () => {
  for (const other of others) {
    if (Math.abs(other.currentTime - lead.currentTime) > 0.3) other.currentTime = lead.currentTime;
    other.playbackRate = lead.playbackRate;
    if (lead.paused || other.ended) other.pause();
    else other.play().catch(() => {});
  }
};

if (lead) {
  for (const name of ["play", "pause", "seeked", "ratechange", "timeupdate"]) lead.addEventListener(name, follow);
  lead.addEventListener("timeupdate", () => showAt(lead.currentTime));
}
for (const slide of slides) {
  slide.addEventListener("click", () => {
    show(slide);
    if (lead) lead.currentTime = Number(slide.dataset.at);
  });
}
showAt(0);
