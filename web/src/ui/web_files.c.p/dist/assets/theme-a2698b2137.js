"use strict";(()=>{try{let e=localStorage.getItem("secai.theme");(e==="light"||e==="dark")&&(document.documentElement.dataset.theme=e)}catch{}})();
