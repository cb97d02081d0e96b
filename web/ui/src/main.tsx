import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Boot } from './components/Boot';
import { createDoor } from './playground';
import './styles/index.css';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

const door = createDoor(new URL('.', window.location.href));
window.addEventListener('online', () => {
  door.connection.hurry();
});
createRoot(root).render(
  <StrictMode>
    <Boot door={door} />
  </StrictMode>,
);
