/** A process of the fleet: Tiffin, whose drivers' calls can be interfered with. */
import './member-calls.ts';
import '../../cmd/tiffin.ts';
