// SPDX-License-Identifier: MIT
// Dark or light before the first picture; a plain script, because modules come after it.
'use strict';
(() => {
	let wanted = null;
	try {
		wanted = localStorage.getItem('stoker-theme');
	} catch {
		// no storage: as the system likes
	}
	if (wanted === 'dark' || wanted === 'light')
		document.documentElement.dataset.theme = wanted;
})();
